"""Turns what the file of a dictionary says, and what was done, into the sentences that differ.

They are printed by the import, kept in the manifest and shown on Home, so that nothing that a file
asks for is passed over in silence.
"""

from __future__ import annotations

from tfactors.coding.imported_dictionary import ImportedDictionary
from tfactors.model.hidden_states import Model
from tfactors.stages.settings import Settings

# A BatchTopK autoencoder fires k factors a token on average, on the text that it was trained on.
USUAL_L0 = (0.5, 2.0)


def import_notes(
    dictionary: ImportedDictionary, settings: Settings, model: Model, l0: float | None
) -> list[str]:
    """Return what of a file is not followed, or cannot be, a sentence each.

    ``l0`` is the mean number of active factors of a token where the encoder makes the codes.
    """
    return [
        *dictionary.notes,
        *_notes_on_reading(dictionary, settings, model),
        *_notes_on_length(dictionary, settings, model),
        *_notes_on_l0(dictionary, l0),
    ]


def _notes_on_reading(
    dictionary: ImportedDictionary, settings: Settings, model: Model
) -> list[str]:
    """Say where texts are read without the token that they were trained behind."""
    if not dictionary.origin.bos:
        return []
    trained = "The autoencoder was trained on texts behind the token that begins a text (BOS)"
    if not settings.bos:
        how = "between the model's own marks" if settings.marks else "without it"
        return [f"{trained}; here they are read {how}, as was asked."]
    if not len(model.marks[0]):
        return [f"{trained}; this model's tokenizer has none, so texts are read without it."]
    return []


def _notes_on_length(dictionary: ImportedDictionary, settings: Settings, model: Model) -> list[str]:
    """Say where windows are longer or shorter than the texts of the training."""
    context = dictionary.origin.context
    length = min(settings.window_length, model.max_length) + sum(map(len, model.marks))
    if not context or length == context:
        return []
    return [
        f"The autoencoder was trained on texts of {context:,} tokens; here a window holds "
        f"{length:,}, marks counted."
    ]


def _notes_on_l0(dictionary: ImportedDictionary, l0: float | None) -> list[str]:
    """Say where a BatchTopK autoencoder fires far more or fewer factors than it was trained to."""
    k = dictionary.origin.k
    if l0 is None or dictionary.origin.form != "batchtopk" or not k:
        return []
    if USUAL_L0[0] * k <= l0 <= USUAL_L0[1] * k:
        return []
    return [
        f"{l0:.1f} factors are active a token, and the file's k is {k}: its threshold is of other "
        "states than these."
    ]
