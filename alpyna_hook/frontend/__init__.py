"""From Python's AST to the nest IR: which loops are sites, what they read and leave behind, and why others are not."""
