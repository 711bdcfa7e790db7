"""All solutions of the n queens problem with lists and recursion; no NumPy anywhere."""

import sys


def safe(columns, row, col):
    for r in range(row):
        if columns[r] == col or abs(columns[r] - col) == row - r:
            return False
    return True


def place(n, row, columns, found):
    if row == n:
        found.append(tuple(columns))
        return
    for col in range(n):
        if safe(columns, row, col):
            columns[row] = col
            place(n, row + 1, columns, found)
            columns[row] = -1


n = int(sys.argv[1]) if len(sys.argv) > 1 else 6
found = []
place(n, 0, [-1] * n, found)
print(n, "queens:", len(found), "solutions")
for solution in found[:2]:
    for col in solution:
        print("." * col + "Q" + "." * (n - col - 1))
    print()

primes = []
candidate = 2
while len(primes) < 50:
    for p in primes:
        if candidate % p == 0:
            break
    else:
        primes.append(candidate)
    candidate += 1
print(primes[-5:], candidate, sys.exit.__name__)
sys.exit(len(found) % 256)
