#include <math.h>
#include <stdint.h>

void kernel(const double *a, int64_t n, int64_t m, const double *b, int64_t bn, int64_t p, double *c, int64_t cn,
            int64_t cp)
{
#pragma omp parallel for
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < p; j++) {
            double s = 0.0;
            for (int64_t k = 0; k < m; k++)
                s += a[i * m + k] * b[k * p + j];
            c[i * p + j] = s;
        }
}
