"""The simulated event camera against a plain loop over its equations."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snnkit.data import Camera, Saccades
from snnkit.errors import ConfigError


def brightness(rows):
    """Scene of one pixel row from intensities ``rows[k]`` at time k * 10 µs."""
    table = np.array(rows, float)
    return lambda t: table[t // 10].reshape(1, 1, -1)


def intensity(level: float, floor: float = 0.15) -> float:
    """The I for which ln(f + (1 - f) I) = level."""
    return (math.exp(level) - floor) / (1 - floor)


LOW = math.log(0.15)


def loop(images, scene, camera, duration, dt):
    """ESIM, pixel by pixel and event by event: rows (sample, t, x, y, p)."""
    on, off = camera.thresholds(*scene(0).shape[1:])
    rows = []
    for n in range(len(images)):
        for y in range(on.shape[0]):
            for x in range(on.shape[1]):
                before = reference = math.log(camera.floor + (1 - camera.floor) * scene(0)[n, y, x])
                for start in range(0, duration, dt):
                    after = math.log(camera.floor + (1 - camera.floor) * scene(start + dt)[n, y, x])
                    for sign, c, p in ((1, on[y, x], 1), (-1, off[y, x], 0)):
                        while sign * (after - reference) >= c:
                            reference += sign * c
                            t = start + dt * (reference - before) / (after - before)
                            rows.append((n, min(math.floor(t), duration - 1), x, y, p))
                    before = after
    return sorted(rows)


def as_rows(recordings):
    sample = np.repeat(np.arange(len(recordings.ptr) - 1), np.diff(recordings.ptr))
    columns = (sample, recordings.t, recordings.x, recordings.y, recordings.p)
    return sorted(tuple(int(v) for v in row) for row in zip(*columns, strict=True))


def test_equals_the_loop_over_its_equations():
    images = np.random.default_rng(1).random((3, 3, 3))
    scene, camera = Saccades(images, 6, 1, 0.5, 2.0), Camera(threshold=0.2, seed=3)
    mine = as_rows(camera.record(scene, duration_us=315_000, dt_us=15_000))
    wanted = loop(images, scene, camera, 315_000, 15_000)
    assert len(mine) == len(wanted) > 500
    times = np.array([(a[1], b[1]) for a, b in zip(sorted(mine), sorted(wanted), strict=True)])
    assert np.abs(times[:, 0] - times[:, 1]).max() <= 1  # one µs of rounding
    assert [(r[0], r[2:]) for r in mine] == [(r[0], r[2:]) for r in wanted]


def test_crossings_are_interpolated():
    camera = Camera(threshold=0.5, threshold_sigma=0)
    rise = camera.record(brightness([[intensity(LOW)], [intensity(LOW + 1.25)]]), duration_us=10, dt_us=10)
    assert rise.t.tolist() == [4, 8]  # 0.5 / 1.25 and 1.0 / 1.25 of 10 µs
    assert rise.p.tolist() == [1, 1]
    fall = camera.record(brightness([[intensity(LOW + 1.25)], [intensity(LOW)]]), duration_us=10, dt_us=10)
    assert fall.t.tolist() == [4, 8]
    assert fall.p.tolist() == [0, 0]


def test_reference_moves_by_whole_thresholds():
    camera = Camera(threshold=0.5, threshold_sigma=0)
    levels = [LOW, LOW + 0.75, LOW + 0.3, LOW + 0.9, LOW + 1.05]  # events: +, -, none, +, +
    scene = brightness([[intensity(v)] for v in levels])
    assert camera.record(scene, duration_us=40, dt_us=10).p.tolist() == [1, 1]


def test_blank_or_still_scene_is_silent():
    for images in (np.zeros((2, 8, 8)),):
        assert len(Camera().record(Saccades(images, 16, 1, 2.5, 3.0), duration_us=315_000, dt_us=5000).t) == 0
    still = Saccades(np.random.default_rng(0).random((2, 8, 8)), 16, 1, 2.5, 0.0)
    recordings = Camera().record(still, duration_us=315_000, dt_us=5000)
    assert recordings.ptr.tolist() == [0, 0, 0]


def test_time_order_and_bounds():
    images = np.random.default_rng(0).random((5, 8, 8))
    recordings = Camera().record(Saccades(images, 16, 1, 2.5, 3.0), duration_us=315_000, dt_us=5000)
    for i in range(5):
        t = recordings.t[recordings.ptr[i] : recordings.ptr[i + 1]]
        assert (np.diff(t) >= 0).all()
    assert recordings.t.min() >= 0
    assert recordings.t.max() < 315_000
    assert max(recordings.x.max(), recordings.y.max()) < 16


def test_thresholds_are_one_draw_per_seed():
    on, off = Camera(seed=1).thresholds(100, 100)
    again = Camera(seed=1).thresholds(100, 100)
    assert np.array_equal(on, again[0])
    assert not np.array_equal(on, off)
    assert not np.array_equal(on, Camera(seed=2).thresholds(100, 100)[0])
    assert abs(on.mean() - 0.35) < 0.001
    assert abs(on.std() - 0.03) < 0.001
    assert Camera(threshold=0.05, threshold_sigma=1.0).thresholds(100, 100)[0].min() == 0.01


def test_a_sample_does_not_depend_on_its_neighbours():
    images = np.random.default_rng(0).random((4, 8, 8))
    camera = Camera(leak_hz=50, shot_hz=50, cutoff_hz=300, refractory_us=500)
    whole = camera.record(Saccades(images, 16, 1, 2.5, 3.0), duration_us=315_000, dt_us=5000)
    part = camera.record(Saccades(images[2:], 16, 1, 2.5, 3.0), duration_us=315_000, dt_us=5000, first=2)
    for name in "txyp":
        assert np.array_equal(getattr(whole, name)[whole.ptr[2] :], getattr(part, name))


def still(pixels: int):
    return lambda t: np.full((1, 1, pixels), 0.5)


def test_leak_makes_on_events_at_its_rate():
    leak = Camera(threshold_sigma=0, leak_hz=100).record(still(50), duration_us=1_000_000, dt_us=1000)
    assert leak.p.all()
    assert len(leak.t) == pytest.approx(50 * 100, rel=0.02)


def test_shot_noise_has_its_rate_and_both_signs():
    shot = Camera(shot_hz=100).record(still(50), duration_us=1_000_000, dt_us=1000)
    assert len(shot.t) == pytest.approx(5000, abs=4 * math.sqrt(5000))
    assert shot.p.mean() == pytest.approx(0.5, abs=0.05)
    assert (np.diff(shot.t) >= 0).all()


def test_refractory_time_spaces_the_events_of_a_pixel():
    rows = [[intensity(LOW)], [intensity(LOW + 1.8)]]
    free = Camera(threshold=0.1, threshold_sigma=0)
    blind = Camera(threshold=0.1, threshold_sigma=0, refractory_us=2)
    scene = brightness(rows)
    assert len(free.record(scene, duration_us=10, dt_us=10).t) in (17, 18)
    spaced = blind.record(scene, duration_us=10, dt_us=10).t
    assert 4 <= len(spaced) <= 5
    assert (np.diff(spaced) >= 2).all()


def test_low_pass_delays_dim_pixels():
    scene = brightness([[intensity(LOW), 0.0]] + [[0.3, 0.3]] * 30)
    slow = Camera(threshold_sigma=0, cutoff_hz=2000.0).record(scene, duration_us=300, dt_us=10)
    fast = Camera(threshold_sigma=0).record(scene, duration_us=300, dt_us=10)
    assert slow.t.max() > fast.t.max()
    assert len(slow.t) <= len(fast.t)


@pytest.mark.parametrize(
    ("setting", "parts"),
    [
        ({"threshold": 0.0}, ("Camera.threshold", "got 0.0", "[0.05, 10]", "drown")),
        ({"threshold": float("nan")}, ("Camera.threshold", "nan")),
        ({"threshold": "0.3"}, ("Camera.threshold", "'0.3'")),
        ({"threshold_sigma": -1}, ("Camera.threshold_sigma", "-1")),
        ({"floor": 1.0}, ("Camera.floor", "1.0")),
        ({"leak_hz": -1.0}, ("Camera.leak_hz",)),
        ({"refractory_us": 0.5}, ("Camera.refractory_us", "an int")),
        ({"seed": -1}, ("Camera.seed", "-1")),
        ({"seed": True}, ("Camera.seed", "True")),
    ],
)
def test_bad_constants(setting, parts):
    with pytest.raises(ConfigError) as caught:
        Camera(**setting)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(("duration", "dt"), [(10, 3), (10, 0), (0, 1), (2**31, 2**31), (10, 20)])
def test_bad_steps(duration, dt):
    with pytest.raises(ConfigError, match=r"Camera\.record.*multiple of dt_us"):
        Camera().record(still(1), duration_us=duration, dt_us=dt)


def test_path_of_the_saccades():
    scene = Saccades(np.zeros((1, 8, 8)), 34, 3, 1.5, 7.0)
    corners = {0: (0, 0), 105_000: (3.5, 7), 210_000: (7, 0), 315_000: (0, 0)}
    for t, corner in corners.items():
        assert scene.position(t) == pytest.approx(corner, abs=1e-12)
    assert scene.position(52_500) == pytest.approx((1.75, 3.5))
    way = 0.5 - 0.5 * math.cos(math.pi / 4)
    assert scene.position(26_250) == pytest.approx((3.5 * way, 7 * way))


def test_bilinear_view_of_an_image():
    image = np.zeros((1, 2, 2))
    image[0] = [[1.0, 0.5], [0.25, 0.0]]
    exact = Saccades(image, 4, 1, 1.0, 0.0)(0)[0]  # whole pixels: copied
    assert exact.tolist() == [[0, 0, 0, 0], [0, 1, 0.5, 0], [0, 0.25, 0, 0], [0, 0, 0, 0]]
    half = Saccades(image, 4, 1, 0.5, 0.0)(0)[0]  # half a pixel: mean of four
    assert half[1, 1] == pytest.approx((1 + 0.5 + 0.25 + 0) / 4)
    assert half[0, 0] == pytest.approx(1 / 4)
    assert half.sum() == pytest.approx(image.sum())
    large = Saccades(image, 8, 3, 1.0, 0.0)(0)[0]  # centres of the enlarged pixels
    assert large[2, 2] == pytest.approx(1.0)
    assert large[2, 3] == pytest.approx(1 - 0.5 / 3)
    assert large.sum() == pytest.approx(9 * image.sum())
