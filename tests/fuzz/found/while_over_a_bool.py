def digits(n):
    total = 0
    while n > 0:
        total += n % 10
        n //= 10
    return total, n


r1 = digits(True)
r2 = digits(False)
r3 = digits(987)
