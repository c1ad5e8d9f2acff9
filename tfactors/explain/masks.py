"""Masks of a window: which of its tokens a model is shown, and which another token stands for.

Turns the length of a window into masks z ∈ {0, 1}ᵗ, which keep a token where they are 1. There are
three ways of drawing them.

2021     Each mask leaves out k ~ U{1 … t} positions, the target among them (Yun et al.).
blocks   The target is always kept. The other n tokens are cut at random into blocks of like size,
         about n / 16 tokens but two or more, and each mask leaves one block out. When each token
         was left out once, a new cut is drawn. A window of so few tokens that all masks of at most
         n / 3 tokens are no more than the samples gets all of them, and chance has no part.
single   Each mask leaves out one position, for occlusion.
"""

from itertools import combinations
from math import comb

import numpy as np

# Block sizes were compared on 12 examples of the default bundle: smaller blocks agree better with
# occlusion, larger ones see more of what tokens do together (docs/why/saliency_maps.md).
BLOCKS_A_CUT = 16


def draw_masks(length: int, samples: int, seed: int) -> np.ndarray:
    """Draw masks by the 2021 procedure; the first keeps everything.

    The others mask k ~ U{1 … length} positions each, drawn without replacement.

    Parameters
    ----------
    length : int
        Tokens of the window, t.
    samples : int
        Masks to draw, the first among them.
    seed : int
        Fixes the masks.

    Returns
    -------
    (samples, t) bool, True = kept
    """
    random = np.random.default_rng(seed)
    masked = random.integers(1, length + 1, size=(samples - 1, 1))
    rank = random.random((samples - 1, length)).argsort(axis=1).argsort(axis=1)
    return np.vstack([np.ones(length, bool), rank >= masked])


def draw_blocks(length: int, position: int, samples: int, seed: int) -> tuple[np.ndarray, bool]:
    """Draw masks that leave out blocks of tokens, never the target; the first keeps everything.

    Parameters
    ----------
    length : int
        Tokens of the window, t.
    position : int
        The target, 0 … t − 1.
    samples : int
        Masks at most.
    seed : int
        Fixes the masks.

    Returns
    -------
    masks : (at most samples, t) bool, True = kept
    all_masks : bool
        Whether these are all masks there are.
    """
    others = np.delete(np.arange(length), position)
    most = _most_masked(len(others))
    if _count_masks(len(others)) <= samples:
        left_out = [list(c) for k in range(most + 1) for c in combinations(others.tolist(), k)]
    else:
        random, left_out = np.random.default_rng(seed), [[]]
        blocks = min(BLOCKS_A_CUT, len(others) // 2)
        while len(left_out) < samples:
            cut = np.array_split(random.permutation(others), blocks)
            left_out += [block.tolist() for block in cut]
    masks = np.ones((min(len(left_out), samples), length), bool)
    for row, block in zip(masks, left_out, strict=False):
        row[block] = False
    return masks, _count_masks(len(others)) <= samples


def single_masks(length: int) -> np.ndarray:
    """Return the masks of occlusion: one that keeps everything, then one without each position.

    >>> single_masks(2).astype(int).tolist()
    [[1, 1], [0, 1], [1, 0]]
    """
    return np.vstack([np.ones(length, bool), ~np.eye(length, dtype=bool)])


def _most_masked(others: int) -> int:
    """Return how many of the other tokens a mask leaves out at most, where all masks are run."""
    return min(others, max(1, others // 3))


def _count_masks(others: int) -> int:
    """Return how many masks keep the target and leave out at most a third of the others."""
    return sum(comb(others, k) for k in range(_most_masked(others) + 1))
