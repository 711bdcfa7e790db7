"""A damped pendulum by Runge-Kutta 4 at module level, then a table of energies."""

import math

import numpy as np

g, length, damping = 9.81, 1.5, 0.05
dt = 0.01
steps = 3000
theta = np.zeros(steps + 1)
omega = np.zeros(steps + 1)
theta[0], omega[0] = 2.5, 0.0

for i in range(steps):
    t0, w0 = theta[i], omega[i]
    k1t, k1w = w0, -g / length * math.sin(t0) - damping * w0
    k2t = w0 + 0.5 * dt * k1w
    k2w = -g / length * math.sin(t0 + 0.5 * dt * k1t) - damping * k2t
    k3t = w0 + 0.5 * dt * k2w
    k3w = -g / length * math.sin(t0 + 0.5 * dt * k2t) - damping * k3t
    k4t = w0 + dt * k3w
    k4w = -g / length * math.sin(t0 + dt * k3t) - damping * k4t
    theta[i + 1] = t0 + dt * (k1t + 2 * k2t + 2 * k3t + k4t) / 6
    omega[i + 1] = w0 + dt * (k1w + 2 * k2w + 2 * k3w + k4w) / 6

print(i, repr(t0), repr(k4w), type(k1w).__name__)

energy = np.zeros(steps + 1)
for i in range(steps + 1):
    energy[i] = 0.5 * (length * omega[i]) ** 2 + g * length * (1 - math.cos(theta[i]))
for i in range(0, steps + 1, 500):
    print(f"{i * dt:6.2f} s {theta[i]: .15f} {energy[i]:.15f}")

turns = 0
for i in range(1, steps + 1):
    if omega[i - 1] > 0 >= omega[i] or omega[i - 1] < 0 <= omega[i]:
        turns += 1
print("turning points", turns, "after", i)

i = steps
while i > 0 and abs(theta[i]) < 0.5:
    i -= 1
print("last beyond half a radian:", i, repr(theta[i]))
