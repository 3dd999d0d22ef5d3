"""Options of the algorithms: frozen dataclasses, importable without torch, from which the command line is generated.

Every field has `metadata`: `help` (one sentence, shown by `--help`) and, where applicable, `minimum`, `maximum`
(inclusive bounds), `choices` (the allowed words) and `applies_to` (the modes in which the option has an effect). They
are enforced both in Python and on the command line.
"""
