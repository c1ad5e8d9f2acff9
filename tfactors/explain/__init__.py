"""One activation asked of the model: decomposition, saliency, intervention, retention."""
