"""Labels by a language model: what it is shown, how it is asked, and how its labels are scored."""
