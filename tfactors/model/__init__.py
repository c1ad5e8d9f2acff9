"""Windows become hidden states: loading a model, finding it, running it from any layer."""
