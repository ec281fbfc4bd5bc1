"""Events arrive in chunks: a session carries the state, and the decision equals one call bit for bit."""

import torch

import snnkit

torch.manual_seed(0)
net = snnkit.create_model("sdt_test", num_classes=10).eval()
x = torch.poisson(torch.full((12, 1, 2, 16, 16), 0.5))  # [T, B, polarity, H, W]

with torch.no_grad():
    at_once = net(x)
    with snnkit.stream(net) as session:
        for chunk in x.split((1, 4, 2, 5)):
            decision = session(chunk)  # over everything seen so far
            print(f"after {len(chunk)} more steps: class {decision.argmax().item()}")
assert torch.equal(decision, at_once)
print("equal to one call, bit for bit")
