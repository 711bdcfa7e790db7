#include <math.h>
#include <stdint.h>

void kernel(const double *a, int64_t n, int64_t m, const double *x, int64_t nx, double *y, int64_t ny)
{
    double t[n];
#pragma omp parallel
    {
#pragma omp for
        for (int64_t i = 0; i < n; i++) {
            double s = 0.0;
            for (int64_t j = 0; j < m; j++)
                s += a[i * m + j] * x[j];
            t[i] = s;
        }
        for (int64_t i = 0; i < n; i++)
#pragma omp for schedule(static) nowait
            for (int64_t j = 0; j < m; j++)
                y[j] = y[j] + a[i * m + j] * t[i];
    }
}
