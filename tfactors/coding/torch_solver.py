"""Turns tensors into the same codes: sparse coding of a whole batch at once, for a GPU.

For rows x of a tensor X (n, d) on any device it solves the problem of
`tfactors.coding.sparse_coding`,

    min_{α ≥ 0}  ½‖x − αΦ‖² + λ‖α‖₁ ,

with the same active-set method, every step for all rows of a batch together: the atoms in use and
those that correlate most with the residual form a working set W; accelerated proximal gradient
(FISTA) on W finds the signs and Newton steps (a batched Cholesky) the values; one product with the
Gram matrix gives the correlations with all atoms; rows whose duality gap is small enough leave the
batch. Rows left after ROUNDS rounds move to a wider W, and from the widest to the CPU's solver: the
certificate is the same.

Codes come back as a scipy csr_array on the host, as from the CPU. Memory on the device: the Gram
matrix (4m² bytes) and at most about BATCH·(30m + 30·WIDTHS[0]²) bytes; nothing grows with X.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csr_array

from tfactors.coding.kernel import RESOLUTION
from tfactors.coding.solver import SparseCoder, checked_penalty, checked_tol, codes_of_rows
from tfactors.errors import InputError
from tfactors.ragged import offsets

BATCH = 16_384
"""Rows solved together: enough to keep a GPU busy, 2.6 GB at most with 1,500 atoms."""

WIDTHS = (64, 256)
"""Atoms in a working set; a wider one holds proportionally fewer rows at once."""

ROUNDS = 4
DESCENTS = 40
STEPS = 4
"""Rounds, and in each: steps of proximal gradient, then Newton steps."""


class TorchSparseCoder:
    """A checked dictionary and its Gram matrix on a device, reused over many calls.

    Parameters
    ----------
    dictionary : (m, d) array or tensor
        One atom a row, unit norm.
    device : torch.device or str
        Where the codes are solved.
    refit : bool
        As of `SparseCoder`; the refit itself is made on the host.
    """

    def __init__(
        self,
        dictionary: np.ndarray | torch.Tensor,
        device: torch.device | str,
        refit: bool = False,
    ) -> None:
        if isinstance(dictionary, torch.Tensor):
            dictionary = dictionary.detach().cpu().numpy()
        self._host = SparseCoder(dictionary, refit=refit)
        self.dictionary = torch.as_tensor(self._host.dictionary, device=device)
        self.gram = torch.as_tensor(self._host.gram.copy(), device=device)

    @torch.inference_mode()
    def encode(
        self, X: torch.Tensor, penalty: float | np.ndarray | torch.Tensor, tol: float = 1e-3
    ) -> csr_array:
        """Return codes (n, m) of X (n, d) on the host; otherwise as `sparse_encode`."""
        m, d = self.dictionary.shape
        if X.ndim != 2 or X.shape[1] != d:
            raise InputError(
                f"X has shape {tuple(X.shape)}; expected (n, {d}), one sample a row, "
                "as wide as the dictionary"
            )
        tol = checked_tol(tol)
        if isinstance(penalty, torch.Tensor):
            penalty = penalty.detach().cpu().numpy()
        penalties = checked_penalty(penalty, len(X))
        precision = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")  # TF32 could not prove a gap of 1e-3
        try:
            parts = [
                self._encode_batch(X[i : i + BATCH], penalties[i : i + BATCH], tol)
                for i in range(0, len(X), BATCH)
            ]
        finally:
            torch.set_float32_matmul_precision(precision)
        counts = np.concatenate([np.empty(0, np.int64), *(part[0] for part in parts)])
        indices = np.concatenate([np.empty(0, np.int32), *(part[1] for part in parts)])
        data = np.concatenate([np.empty(0, np.float32), *(part[2] for part in parts)])
        codes = codes_of_rows(counts, indices, data, m)
        if self._host.refit:
            codes = self._host.refitted(X.to("cpu", torch.float32).numpy(), codes)
        return codes

    def _encode_batch(
        self, X: torch.Tensor, penalties: np.ndarray, tol: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the entries a row, their atoms and their values for one batch, on the host."""
        x = X.to(self.gram.device, torch.float32)
        if not torch.isfinite(x).all():
            self._host.encode(X.cpu().numpy(), penalties)  # raises: names the row and the value
        levels = torch.as_tensor(np.minimum(penalties, 1e30), dtype=torch.float32).to(x.device)
        alpha = torch.zeros(len(x), len(self.gram), device=x.device)
        norms = torch.linalg.vector_norm(x, dim=1)
        hard = torch.arange(len(x), device=x.device)[(norms > 1e-12) & (norms < 1e12)]
        outside = torch.arange(len(x), device=x.device)[(norms <= 1e-12) | (norms >= 1e12)]
        for width in WIDTHS:
            width, left = min(width, len(self.gram)), []
            for rows in hard.split(BATCH * WIDTHS[0] ** 2 // width**2 + 1):
                solved, proved = self._solve(x[rows], levels[rows], alpha[rows], tol, width)
                alpha[rows] = solved
                left.append(rows[~proved])
            hard = torch.cat(left) if left else hard
        hard = torch.cat([hard, outside]).sort().values
        alpha[hard] = 0
        rows, atoms = alpha.nonzero(as_tuple=True)
        counts = torch.bincount(rows, minlength=len(x)).cpu().numpy()
        indices, data = atoms.int().cpu().numpy(), alpha[rows, atoms].cpu().numpy()
        if len(hard):
            places = hard.cpu().numpy()
            rest = self._host.without_refit().encode(
                X[hard.to(X.device)].cpu().numpy(), penalties[places], tol
            )
            before = np.repeat(offsets(counts)[places + 1], np.diff(rest.indptr))
            indices, data = (
                np.insert(indices, before, rest.indices),
                np.insert(data, before, rest.data),
            )
            counts[places] = np.diff(rest.indptr)
        return counts, indices, data

    def _solve(
        self, x: torch.Tensor, penalty: torch.Tensor, alpha: torch.Tensor, tol: float, width: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return codes (n, m) of x (n, d), from alpha on, and whether each one's gap is proved."""
        b, norm2 = x @ self.dictionary.T, (x * x).sum(dim=1)
        alpha, proved = alpha.clone(), torch.zeros(len(x), dtype=torch.bool, device=x.device)
        rows = torch.arange(len(x), device=x.device)
        for _ in range(ROUNDS + 1):
            code, level, bs = alpha[rows], penalty[rows], b[rows]
            r = bs - code @ self.gram
            enough = _gap(code, r, bs, norm2[rows], level) <= tol
            proved[rows[enough]] = True
            rows, code, level, bs, r = (part[~enough] for part in (rows, code, level, bs, r))
            if not len(rows):
                break
            r[code > 0] = torch.inf  # the atoms in use stay
            atoms = r.topk(width, dim=1).indices
            gram = self.gram[atoms[:, :, None], atoms[:, None, :]]
            values = _solve_dense(gram, bs.gather(1, atoms) - level[:, None], code.gather(1, atoms))
            alpha[rows] = torch.zeros_like(code).scatter_(1, atoms, values)
        return alpha, proved


def _gap(
    alpha: torch.Tensor,
    r: torch.Tensor,
    b: torch.Tensor,
    norm2: torch.Tensor,
    penalty: torch.Tensor,
) -> torch.Tensor:
    """Return the relative duality gap of every row, as in the kernel of the CPU."""
    eps = torch.finfo(r.dtype).eps
    doubt = 8 * eps * norm2
    total, product = alpha.sum(dim=1), (alpha * r).sum(dim=1)
    error2 = (norm2 - (alpha * b).sum(dim=1) - product).clamp(min=0) + doubt
    bound = torch.maximum(penalty, RESOLUTION * norm2.sqrt())
    s = (1 + product / error2).clamp(0, 1)
    s = torch.minimum(s, bound / r.amax(dim=1).clamp(min=1e-30))
    gap = 0.5 * (1 - s) ** 2 * error2 + penalty * total - s * product + eps * norm2.sqrt() * total
    primal = 0.5 * error2 + penalty * total
    return gap.clamp(min=0) / torch.maximum(primal - doubt, RESOLUTION * 0.5 * norm2)


def _solve_dense(gram: torch.Tensor, pull: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """Return argmin over α ≥ 0 of ½αGαᵀ − α·pull for a batch of small problems, G (n, w, w)."""
    reciprocal = 1 / gram.abs().sum(dim=2).amax(dim=1, keepdim=True)  # ≥ the largest eigenvalue
    ahead, momentum = alpha, 1.0
    for _ in range(DESCENTS):
        gradient = (gram @ ahead[:, :, None])[:, :, 0] - pull
        new = (ahead - reciprocal * gradient).clamp(min=0)
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        ahead = new + (momentum - 1) / following * (new - alpha)
        alpha, momentum = new, following
    eye = torch.eye(gram.shape[1], device=gram.device)
    for _ in range(STEPS):
        inside = alpha > 0
        left = pull - (gram @ alpha[:, :, None])[:, :, 0]
        both = inside[:, :, None] & inside[:, None, :]
        system = torch.where(both, gram, 0) + eye * (~inside[:, :, None] + 1e-6)
        factor, failed = torch.linalg.cholesky_ex(system)
        step = torch.cholesky_solve(torch.where(inside, left, 0)[:, :, None], factor)[:, :, 0]
        step = torch.where((failed == 0)[:, None], step, 0)
        # The whole step where it stays inside; else to the boundary, where atoms leave.
        reach = torch.where(step < 0, alpha / -step, torch.inf).amin(dim=1, keepdim=True)
        alpha = (alpha + reach.clamp(max=1) * step).clamp(min=0)
        alpha = torch.where(alpha > 1e-6 * alpha.amax(dim=1, keepdim=True), alpha, 0)
    return alpha
