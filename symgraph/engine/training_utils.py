"""What Keras has in a module of this name: checks of users' data, sample weights, weighted losses."""

from symgraph.engine.data.checks import (
    batch_shuffle,
    check_array_length_consistency,
    check_loss_and_target_compatibility,
    check_num_samples,
    make_batches,
    standardize_input_data,
    standardize_single_array,
)
from symgraph.engine.data.sample_weights import (
    standardize_class_weights,
    standardize_sample_or_class_weights,
    standardize_sample_weights,
    standardize_weights,
)
from symgraph.engine.training_parts.objective import collect_metrics, weighted_masked_objective
from symgraph.utils.sequence import iter_sequence_infinite

__all__ = [
    "batch_shuffle",
    "check_array_length_consistency",
    "check_loss_and_target_compatibility",
    "check_num_samples",
    "collect_metrics",
    "iter_sequence_infinite",
    "make_batches",
    "standardize_class_weights",
    "standardize_input_data",
    "standardize_sample_or_class_weights",
    "standardize_sample_weights",
    "standardize_single_array",
    "standardize_weights",
    "weighted_masked_objective",
]
