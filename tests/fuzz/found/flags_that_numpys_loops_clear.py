import numpy as np

# NumPy's loops for sign, minimum and some others clear the floating-point flags: those raised before must not go.


def signs(a, w):
    for i in range(len(a)):
        w[i] += np.sign(pow(a[i], 0.5))


def smallest(a, w):
    for i in range(len(a)):
        big = a[i] * 1e300
        w[i] = big * 1e300 + np.minimum(w[i], w[i])


a, w = np.arange(40.0) - 3, np.zeros(40)
signs(a, w)
signs(a, w)
smallest(a, w)
smallest(a + 5, w)
