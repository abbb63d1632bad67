"""What CANN, atc and ais_bench mean by a code or a message: cause and next step. Standard library only.

`tables` has the documented codes, `messages` what is said without one; `log` finds the first cause in a log, `told`
shows it. Two stages ask: `python -m convert explain` and `python -m infer explain` answer the same.
"""
