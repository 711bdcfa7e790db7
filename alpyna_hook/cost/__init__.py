"""The cost oracle: counts (pure) x machine profile (measured) -> seconds per variant -> a decision.

    counts.py   typed nest -> Counts: symbolic, knows no machine
    machine.py  Profile: the figures of this computer; profiles.py keeps it as JSON in the cache folder
    measure.py  micro-benchmarks that fill a Profile; noise.py and settle.py tell good figures from disturbed ones
    model.py    Counts x entry values x Profile -> predicted seconds of one variant
    learn.py    what measured times say about predictions
    rules.py    predictions -> the cheapest variant, what it is worth; pick.py: for a call, and for which others
    decide.py   predictions + compile cost still unpaid + what was spent so far -> Decision
"""
