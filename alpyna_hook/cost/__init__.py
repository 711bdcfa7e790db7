"""The cost oracle: counts (pure) x machine profile (measured) -> seconds per variant -> a decision.

    counts.py   typed nest -> Counts: symbolic, knows no machine
    machine.py  Profile: the figures of this computer, as JSON in the cache folder
    measure.py  micro-benchmarks that fill a Profile
    model.py    Counts x entry values x Profile -> predicted seconds of one variant
    decide.py   predictions + compile cost still unpaid + what was spent so far -> Decision
"""
