"""Geometry of point clouds ``[B, N, D]``: who is chosen, who is near, what a group looks like.

Everything here is batched, runs where the cloud is, and has no gradient: it depends on coordinates
alone and is computed once for all time steps. To add a sampler or a kind of features, decorate a
function with ``@SAMPLERS.register("name")`` or ``@GROUP_FEATURES.register("name")``.
"""

from .checks import as_cloud
from .groups import GROUP_FEATURES, Groups, group_points
from .neighbours import ball_query, gather_points, knn
from .sampling import (
    SAMPLERS,
    canonical_order,
    farthest_of_subset,
    farthest_points,
    queue_samples,
    queue_sizes,
    random_points,
    stride_points,
    subset_size,
)

__all__ = [
    "GROUP_FEATURES",
    "SAMPLERS",
    "Groups",
    "as_cloud",
    "ball_query",
    "canonical_order",
    "farthest_of_subset",
    "farthest_points",
    "gather_points",
    "group_points",
    "knn",
    "queue_samples",
    "queue_sizes",
    "random_points",
    "stride_points",
    "subset_size",
]
