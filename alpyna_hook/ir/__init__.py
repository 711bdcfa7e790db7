"""The nest IR: nodes, types, affine forms, printer and verifier."""
