"""Documents, data sets and packaged corpora become windows of tokens."""
