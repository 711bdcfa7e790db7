"""A toy climate on a latitude-longitude grid: somebody's first larger program."""

import math
import sys

import numpy as np

STEFAN = 5.67e-8
names = {"land": 0, "sea": 1}
log_lines = []


class SetupError(ValueError):
    pass


def log(message, level="info"):
    log_lines.append((level, message))
    if level != "debug":
        print(f"[{level}] {message}")


def insolation(lat, day):
    """Daily mean sunlight at the top of the atmosphere, W/m2."""
    tilt = math.radians(23.44) * math.sin(2 * math.pi * (day - 81) / 365)
    x = -math.tan(lat) * math.tan(tilt)
    if x <= -1:
        hour = math.pi
    elif x >= 1:
        hour = 0.0
    else:
        hour = math.acos(x)
    s = hour * math.sin(lat) * math.sin(tilt) + math.cos(lat) * math.cos(tilt) * math.sin(hour)
    return 1361.0 / math.pi * s


class Grid:
    def __init__(self, nlat, nlon):
        if nlat < 3 or nlon < 3:
            raise SetupError(f"grid too small: {nlat} x {nlon}")
        self.nlat = nlat
        self.nlon = nlon
        self.lat = np.zeros(nlat)
        for i in range(nlat):
            self.lat[i] = math.radians(-90 + (i + 0.5) * 180.0 / nlat)
        self.kind = np.zeros((nlat, nlon), dtype=np.int64)
        self.area = np.zeros((nlat, nlon))

    def paint(self):
        for i in range(self.nlat):
            for j in range(self.nlon):
                if (i * 7 + j * 3) % 11 < 4 and abs(self.lat[i]) < 1.2:
                    self.kind[i, j] = names["land"]
                else:
                    self.kind[i, j] = names["sea"]
                self.area[i, j] = math.cos(self.lat[i])

    def fraction(self, name):
        wanted = names[name]
        part, whole = 0.0, 0.0
        for i in range(self.nlat):
            for j in range(self.nlon):
                whole += self.area[i, j]
                if self.kind[i, j] == wanted:
                    part += self.area[i, j]
        return part / whole


class Climate:
    heat_capacity = 4.0e6

    def __init__(self, grid, start=285.0):
        self.grid = grid
        self.t = np.full((grid.nlat, grid.nlon), start)
        self.new = np.empty_like(self.t)
        self.sun = np.zeros(grid.nlat)
        self.history = []

    def radiate(self, day, dt):
        n, m = self.grid.nlat, self.grid.nlon
        for i in range(n):
            self.sun[i] = insolation(self.grid.lat[i], day)
        t, kind, sun, capacity = self.t, self.grid.kind, self.sun, self.heat_capacity
        for i in range(n):
            for j in range(m):
                albedo = 0.3 if kind[i, j] == 0 else 0.1
                if t[i, j] < 263.15:
                    albedo = 0.6
                gain = sun[i] * (1 - albedo)
                loss = 0.62 * STEFAN * t[i, j] ** 4
                inertia = capacity * (1 if kind[i, j] == 0 else 10)
                t[i, j] += dt * (gain - loss) / inertia

    def diffuse(self, k):
        for i in range(1, self.grid.nlat - 1):
            for j in range(self.grid.nlon):
                west = self.t[i, j - 1]
                east = self.t[i, (j + 1) % self.grid.nlon]
                around = west + east + self.t[i - 1, j] + self.t[i + 1, j] - 4 * self.t[i, j]
                self.new[i, j] = self.t[i, j] + k * around
        for i in range(1, self.grid.nlat - 1):
            for j in range(self.grid.nlon):
                self.t[i, j] = self.new[i, j]

    def mean(self):
        total, weight = 0.0, 0.0
        for i in range(self.grid.nlat):
            for j in range(self.grid.nlon):
                total += self.t[i, j] * self.grid.area[i, j]
                weight += self.grid.area[i, j]
        return total / weight

    def run(self, days, every=30):
        for day in range(days):
            self.radiate(day, 86400.0)
            self.diffuse(0.1)
            if day % every == 0:
                self.history.append(self.mean())
                log(f"day {day:3d}: {self.history[-1]:.6f} K")


# ---- the program -------------------------------------------------------------------------------
nlat = int(sys.argv[1]) if len(sys.argv) > 1 else 12
nlon = 2 * nlat
days = 65

for bad in [(2, 10), (10, 1)]:
    try:
        Grid(*bad)
    except SetupError as error:
        log(f"skipped: {error}", "warning")

grid = Grid(nlat, nlon)
grid.paint()
for name in sorted(names):
    print(name, repr(grid.fraction(name)))

climate = Climate(grid)
climate.run(days)

# the warmest cell of every fourth row, by hand
rows = []
for i in range(0, nlat, 4):
    warmest, where = -1.0, -1
    for j in range(nlon):
        if climate.t[i, j] > warmest:
            warmest = climate.t[i, j]
            where = j
    rows.append({"row": i, "where": where, "warmest": warmest})
    print(i, j, where, repr(warmest), type(warmest).__name__)

# zonal means, counted in a dictionary of strings as well
zonal = np.zeros(nlat)
bands = {}
for i in range(nlat):
    for j in range(nlon):
        zonal[i] += climate.t[i, j]
    zonal[i] /= nlon
    band = "tropics" if abs(climate.grid.lat[i]) < 0.41 else "rest"
    bands[band] = bands.get(band, 0) + 1
print(bands, [round(float(z), 9) for z in zonal[:3]])

# frost days: an index that runs off the grid, which the author caught
try:
    frost = 0
    for i in range(nlat + 1):
        if climate.t[i, 0] < 273.15:
            frost += 1
except IndexError as error:
    print("caught:", error, "at row", i, "frost", frost)

steps = 0
gap = climate.history[-1] - climate.history[0]
while abs(gap) > 1e-3:
    gap *= 0.5
    steps += 1
print("halvings", steps, "of", repr(gap))

width = max(len(level) for level, _ in log_lines)
for level, message in log_lines[-2:]:
    print(level.rjust(width), "|", message)
print("done", sum(1 for level, _ in log_lines if level == "warning"), "warnings")
