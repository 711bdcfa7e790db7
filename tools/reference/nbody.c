#include <math.h>
#include <stdint.h>

void kernel(double *restrict position, int64_t n, int64_t p1, double *restrict velocity, int64_t v0, int64_t v1,
            const double *restrict mass, int64_t m0, double *restrict acc, int64_t a0, int64_t a1, double dt)
{
#pragma omp parallel for
    for (int64_t i = 0; i < n; i++) {
        double ax = 0.0, ay = 0.0, az = 0.0;
        for (int64_t j = 0; j < n; j++) {
            double dx = position[3 * j] - position[3 * i];
            double dy = position[3 * j + 1] - position[3 * i + 1];
            double dz = position[3 * j + 2] - position[3 * i + 2];
            double r2 = dx * dx + dy * dy + dz * dz + 1e-4;
            double f = mass[j] / (r2 * sqrt(r2));
            ax += f * dx;
            ay += f * dy;
            az += f * dz;
        }
        acc[3 * i] = ax;
        acc[3 * i + 1] = ay;
        acc[3 * i + 2] = az;
    }
#pragma omp parallel for
    for (int64_t i = 0; i < n; i++)
        for (int64_t d = 0; d < 3; d++) {
            velocity[3 * i + d] += dt * acc[3 * i + d];
            position[3 * i + d] += dt * velocity[3 * i + d];
        }
}
