"""Intrinsics by all the names that imports may give them."""
import math
import math as m
import numpy
import numpy as np
import numpy as xp
from math import sqrt, pi as PI
from math import *
from numpy import exp as npexp, float32


def calls(x, out):
    from math import cos

    for i in range(len(x)):
        out[0, i] = math.exp(x[i]) + m.sin(x[i]) + sqrt(x[i]) + cos(x[i]) + atan2(x[i], 2.0)
        out[1, i] = np.exp(x[i]) + numpy.sqrt(x[i]) + xp.minimum(x[i], 1.0) + npexp(-x[i]) + np.absolute(x[i])
        out[2, i] = abs(-x[i]) + min(x[i], 1.0, i) + max(0, x[i]) + round(x[i]) + round(x[i], 1) + pow(x[i], 2)
        out[3, i] = int(x[i]) + float(i) + bool(i) + float32(x[i]) + np.int64(i) + np.double(x[i])
        out[4, i] = math.pi + np.pi + PI + m.inf + np.e - pi


def complexes(z, w):
    c = complex(0.5, -0.25)
    for i in range(len(z)):
        z[i] = z[i] * 1j + c.real * z[i].imag + z[i].conjugate() + complex(i, 1)
        w[i] = abs(z[i]) + (z[i] * z[i]).real


x = np.arange(1.0, 5.0)
out = np.zeros((5, 4))
calls(x, out)
z = np.arange(3) * (1 + 2j)
w = np.zeros(3)
complexes(z, w)
