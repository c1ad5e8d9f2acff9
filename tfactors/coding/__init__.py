"""Hidden states become codes: the solver with its certificate, and the learner of dictionaries."""
