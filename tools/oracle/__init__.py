"""Parts of tools/oracle_eval.py: workers, measuring, scoring, pictures."""
