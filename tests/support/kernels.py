"""Nearly all that numba compiles for a build, compiled and kept in the cache beside the modules."""

import numpy as np
from scipy.sparse import csr_array

from tfactors.coding.compile_ahead import compile_ahead
from tfactors.coding.learner import DictionaryLearner
from tfactors.survey.survey import Survey


def compile_kernels() -> None:
    """Solve, learn from and survey a few numbers of no meaning, as a build does."""
    compile_ahead()
    states = np.random.default_rng(0).exponential(size=(32, 4)).astype(np.float32)
    DictionaryLearner(8, penalty=0.01, epochs=1, random_state=0).fit(states)
    words = [f"w{number % 3}" for number in range(len(states))]
    windows, positions = np.divmod(np.arange(len(states)), 8)
    surveys = [Survey([0], 4, most_tokens=len(states)) for _ in range(2)]
    for survey in surveys:
        survey.add([csr_array(states)], windows.astype(np.int32), positions.astype(np.int16), words)
    surveys[0].merge(surveys[1])
    names = np.arange(len(surveys[0].vocabulary))
    surveys[0].states[0].words(names, surveys[0].word_totals)
