"""European call and put prices, one option at a time."""

import hashlib
import sys
from math import erf, exp, log, sqrt

import numpy as np

SIZES = {"test": 500, "default": 150000, "medium": 150000, "large": 2500000}


def setup(n):
    rng = np.random.default_rng(2)
    price = 10.0 + 40.0 * rng.random(n)
    strike = 10.0 + 40.0 * rng.random(n)
    years = 0.1 + 2.0 * rng.random(n)
    return price, strike, years, 0.02, 0.3, np.zeros(n), np.zeros(n)


def kernel(price, strike, years, rate, volatility, call, put):
    for i in range(len(price)):
        s = price[i]
        k = strike[i]
        t = years[i]
        root = volatility * sqrt(t)
        d1 = (log(s / k) + (rate + 0.5 * volatility * volatility) * t) / root
        d2 = d1 - root
        n1 = 0.5 + 0.5 * erf(d1 / sqrt(2.0))
        n2 = 0.5 + 0.5 * erf(d2 / sqrt(2.0))
        discounted = k * exp(-rate * t)
        call[i] = s * n1 - discounted * n2
        put[i] = call[i] - s + discounted


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else SIZES["default"]
    args = setup(n)
    kernel(*args)
    call, put = args[-2:]
    print("black_scholes", n)
    print(call[:3].tolist(), put[-3:].tolist())
    print(hashlib.sha256(call.tobytes() + put.tobytes()).hexdigest())


if __name__ == "__main__":
    main()
