"""Events arrive in chunks: a session carries the state, and the decision equals one call bit for bit."""

import torch

import snnkit

torch.manual_seed(0)
net = snnkit.create_model("sdt_test", neuron="ilif", num_classes=10)
x = torch.poisson(torch.full((12, 1, 2, 16, 16), 0.5))  # [T, B, polarity, H, W]

with torch.no_grad():
    for _ in range(50):  # lets the batch norms learn their statistics, which a trained network has
        net(x)
    at_once = net.eval()(x)
    assert at_once.abs().sum() > 0, "a silent network would prove nothing"
    with snnkit.stream(net) as session:
        for chunk in x.split((1, 4, 2, 5)):
            decision = session(chunk)  # over everything seen so far
            print(f"after {len(chunk)} more steps: class {decision.argmax().item()}")
assert torch.equal(decision, at_once)
print("equal to one call, bit for bit")
