"""Arguments with which the contract tests try every registered transform, and what it may lose."""

from __future__ import annotations

from snnkit.data import transforms as T

SETTINGS: dict[str, list[T.EventTransform]] = {
    "compose": [T.Compose(), T.Compose((T.FlipX(), T.TimeJitter(5.0), T.Denoise(20)))],
    "crop": [T.Crop(1, 1), T.Crop(1, 2, left=0, top=0)],
    "crop_time": [T.CropTime(30), T.CropTime(10**9)],
    "denoise": [T.Denoise(7), T.Denoise(2**53)],
    "downsample": [T.Downsample(1, 1), T.Downsample(1, 2)],
    "drop_area": [T.DropArea(), T.DropArea((1.0, 1.0))],
    "drop_random": [T.DropRandom(), T.DropRandom((1.0, 1.0))],
    "drop_time": [T.DropTime(), T.DropTime((1.0, 1.0))],
    "event_drop": [T.EventDrop()],
    "flip_polarity": [T.FlipPolarity(0.5)],
    "flip_x": [T.FlipX(), T.FlipX(1.0)],
    "flip_y": [T.FlipY(), T.FlipY(1.0)],
    "refractory": [T.Refractory(1), T.Refractory(13)],
    "spatial_jitter": [T.SpatialJitter(0.7)],
    "time_jitter": [T.TimeJitter(9.0)],
    "time_reverse": [T.TimeReverse(), T.TimeReverse(1.0)],
    "time_shift": [T.TimeShift(0), T.TimeShift(40)],
}
KEEPS_ALL = {"downsample", "flip_polarity", "flip_x", "flip_y", "time_jitter", "time_reverse"}
EVERY = [(name, transform) for name, several in SETTINGS.items() for transform in several]
