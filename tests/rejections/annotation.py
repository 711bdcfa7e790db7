"""Rejection annotation."""


for i in range(3):
    x: float = i
