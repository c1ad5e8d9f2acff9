"""How saliency is measured: the method, its samples and what stands for a masked token.

Turns the keywords of `tfactors.explain` into one object that is checked once and handed on.
"""

from dataclasses import dataclass, replace

from tfactors.errors import InputError

METHODS = ("lime", "occlusion")
SAMPLES = 1000
FEATURES = 30
# LIME stops when no standard error is larger than this share of the activation: a weight of the
# smallest share that can be told from zero is then 4 errors away from it.
PRECISION = 0.025
# Fewer samples than positions leave the ridge to guess; more than the upper bound is a mistake.
FEWEST_SAMPLES, MOST_SAMPLES = 10, 20_000


@dataclass(frozen=True)
class Recipe:
    """Constants of a published LIME procedure."""

    samples: int
    features: int


RECIPES = {"2021": Recipe(samples=2001, features=FEATURES)}


@dataclass(frozen=True)
class SaliencySettings:
    """How one activation, or many, are explained.

    Attributes
    ----------
    method : str
        ``lime``, or ``occlusion`` (exact leave-one-out; t + 1 windows, no samples).
    samples : int
        Windows that LIME draws at most, the original among them; held to 10 … 20,000.
    features : int, optional
        Positions that LIME gives a weight; by default all but the target.
    seed : int
        Fixes the masks, and with them the explanation to the bit.
    replacement : int or str, optional
        Token, or its id, that stands for a masked one; by default the unknown token.
    recipe : str, optional
        ``2021`` takes the masks, samples and features of the 2021 code.
    precision : float
        LIME stops once no standard error is larger than this share of the activation; 0 draws all
        samples.
    """

    method: str = "lime"
    samples: int = SAMPLES
    features: int | None = None
    seed: int = 0
    replacement: int | str | None = None
    recipe: str | None = None
    precision: float = PRECISION

    def checked(self) -> "SaliencySettings":
        """Return the settings with the recipe's constants, and the samples within bounds.

        Raises
        ------
        InputError
            A method, a recipe, a number of features, a precision or a seed that cannot be.
        """
        if self.method not in METHODS:
            raise InputError(f"method {self.method!r}: expected one of {', '.join(METHODS)}")
        samples, features = self.samples, self.features
        if self.recipe is not None:
            if self.recipe not in RECIPES:
                raise InputError(f"recipe {self.recipe!r}: expected one of {', '.join(RECIPES)}")
            samples, features = RECIPES[self.recipe].samples, RECIPES[self.recipe].features
        if features is not None and features < 1:
            raise InputError(f"features {features}: expected 1 or more")
        if not 0 <= self.precision < 1:
            raise InputError(
                f"precision {self.precision}: expected a share of the activation, 0 to below 1"
            )
        if not 0 <= self.seed < 2**32:
            raise InputError(f"seed {self.seed}: expected 0 to {2**32 - 1:,}")
        samples = min(max(int(samples), FEWEST_SAMPLES), MOST_SAMPLES)
        return replace(self, samples=samples, features=features)
