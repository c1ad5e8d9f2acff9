"""``import tfactors as tf``: every public name does its work, whatever was imported before."""

import inspect
import subprocess
import sys

import pytest

import tfactors as tf


@pytest.mark.process
@pytest.mark.parametrize("before", ["", "import tfactors.explain.saliency; ", "tf.decompose; "])
def test_explain_can_be_called_before_and_after_its_package_was_imported(before):
    code = (
        f"import tfactors as tf; {before}\n"
        "try: tf.explain(None, 'a text', 0, 0, 0, encoder=None)\n"
        "except AttributeError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "'NoneType' object has no attribute" in done.stdout, done.stderr


def test_the_parameters_of_explain_are_those_of_the_function_also_after_its_package_was_imported():
    from tfactors.explain import saliency

    assert inspect.signature(tf.explain) == inspect.signature(saliency.explain)
