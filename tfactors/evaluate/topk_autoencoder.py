"""Turns states into a TopK sparse autoencoder, the usual dictionary of today, to compare with.

After Gao et al. (2024, "Scaling and evaluating sparse autoencoders"):

    z = TopK_k(ReLU((x − b) W_enc)),     x̂ = z W_dec + b,     loss = mean ‖x − x̂‖²

with unit rows of W_dec, W_enc = W_decᵀ at first, b the mean at first, 1/8 of the loss at 4k beside
it (so that fewer and more than k latents can be asked for afterwards), and 1/32 of the loss of the
dead latents' attempt at the residual (so that few stay dead). Adam, a rate that warms up and then
falls to zero, stopped when it has had the processor time that the other method took.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.sparse import csr_array

from tfactors.parallel import core_seconds

# Small batches and a high rate: in a minute on two cores the number of steps decides (3e-3 at 256
# explained 0.46 where 1e-3 at 1,024 explained 0.30, MiniLM, 25 s on a busy machine).
BATCH = 256
RATE = 3e-3
WARM_UP = 0.05  # of the time
DEAD_AFTER = 100_000  # samples
ROWS = 4096  # coded at a time


class TopKAutoencoder:
    """W_dec as ``dictionary`` with unit rows, and what makes codes for it.

    Attributes
    ----------
    dictionary : (m, d) float32
        W_dec.
    bias : (d,) float32
        b.
    k : int
        Latents a sample it was trained for.
    samples, dead : int
        Samples seen in training, and latents that had not been active for long when it ended.
    """

    def __init__(self, n_components: int, k: int, seed: int = 0) -> None:
        self.n_components, self.k, self.seed = n_components, k, seed

    def fit(
        self, X: np.ndarray, seconds: float, tick: Callable[[float], object] = lambda done: None
    ) -> TopKAutoencoder:
        """Train on shuffled batches of X (n, d) for so many seconds of all cores.

        ``tick(done)`` is called with the share that is over.
        """
        import torch

        torch.manual_seed(self.seed)
        rng = np.random.default_rng(self.seed)
        m, k, (n, d) = self.n_components, self.k, X.shape
        first = rng.standard_normal((m, d)).astype(np.float32)
        decoder = torch.nn.functional.normalize(torch.from_numpy(first)).requires_grad_()
        encoder = decoder.detach().clone().requires_grad_()
        bias = torch.from_numpy(X.mean(axis=0)).requires_grad_()
        adam = torch.optim.Adam([decoder, encoder, bias], RATE, betas=(0.9, 0.999), eps=6.25e-10)
        scale = float(X.var(axis=0, dtype=np.float64).sum())  # the loss of the mean
        idle = torch.zeros(m)
        self.samples, start = 0, core_seconds()
        order, place = rng.permutation(n), 0
        while (done := (core_seconds() - start) / max(seconds, 1e-9)) < 1:
            tick(done)
            if place + BATCH > n:
                order, place = rng.permutation(n), 0
            x = torch.from_numpy(X[np.sort(order[place : place + BATCH])])
            place += len(x)
            before = (x - bias) @ encoder.T
            values, at = before.relu().topk(min(4 * k, m))
            near = _decoded(values[:, :k], at[:, :k], decoder) + bias
            more = near + _decoded(values[:, k:], at[:, k:], decoder)
            loss = ((x - near).square().sum() + (x - more).square().sum() / 8) / len(x) / scale
            idle += len(x)
            idle[at[:, :k][values[:, :k] > 0]] = 0
            dead = torch.nonzero(idle > DEAD_AFTER).ravel()
            if len(dead):
                tried, place_of = before[:, dead].relu().topk(min(d // 2, len(dead)))
                left = (x - near).detach()
                error = (left - _decoded(tried, dead[place_of], decoder)).square().sum()
                loss = loss + error / left.square().sum() / 32
            adam.zero_grad()
            loss.backward()
            with torch.no_grad():
                gradient = decoder.grad
                assert gradient is not None  # backward was called
                gradient -= (gradient * decoder).sum(1, keepdim=True) * decoder
                torch.nn.utils.clip_grad_norm_([decoder, encoder, bias], 1.0)
                for group in adam.param_groups:
                    group["lr"] = RATE * min(done / WARM_UP, 1.0) * min((1 - done) / 0.8, 1.0)
                adam.step()
                decoder /= decoder.norm(dim=1, keepdim=True)
            self.samples += len(x)
        self.dead = int((idle > DEAD_AFTER).sum())
        self.dictionary = decoder.detach().numpy()
        self.bias = bias.detach().numpy()
        self._encoder = encoder.detach().numpy()
        return self

    def encode(self, X: np.ndarray, k: int | None = None) -> csr_array:
        """Return codes (n, m) of X (n, d), at most k positive ones a row; by default as trained."""
        k, m = k or self.k, self.n_components
        parts = []
        for first in range(0, len(X), ROWS):
            before = (X[first : first + ROWS] - self.bias) @ self._encoder.T
            at = np.sort(np.argpartition(-before, min(k, m - 1), axis=1)[:, :k], axis=1)
            parts.append((at, np.take_along_axis(before, at, 1).clip(min=0)))
        at, values = (np.concatenate(part) for part in zip(*parts, strict=True))
        pointers = np.arange(len(X) + 1) * at.shape[1]
        codes = csr_array((values.ravel(), at.ravel(), pointers), shape=(len(X), m))
        codes.eliminate_zeros()
        return codes

    def decode(self, codes: csr_array) -> np.ndarray:
        """Return the reconstruction (n, d) of codes (n, m)."""
        return codes @ self.dictionary + self.bias


def _decoded(values, at, decoder):  # type: ignore[no-untyped-def]
    """Return Σ_j values[:, j] · decoder[at[:, j]], without dense codes."""
    import torch

    if not at.shape[1]:  # all latents are among the k largest
        return decoder.new_zeros(len(at), decoder.shape[1])
    return torch.nn.functional.embedding_bag(at, decoder, per_sample_weights=values, mode="sum")
