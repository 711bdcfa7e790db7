#include <math.h>
#include <stdint.h>

void kernel(int64_t steps, double *restrict a, int64_t n, int64_t m, double *restrict b, int64_t bn, int64_t bm)
{
    for (int64_t t = 0; t < steps; t++) {
#pragma omp parallel for
        for (int64_t i = 1; i < n - 1; i++)
            for (int64_t j = 1; j < n - 1; j++)
                b[i * n + j] = 0.2 * (a[i * n + j] + a[i * n + j - 1] + a[i * n + j + 1] + a[(i + 1) * n + j]
                                      + a[(i - 1) * n + j]);
#pragma omp parallel for
        for (int64_t i = 1; i < n - 1; i++)
            for (int64_t j = 1; j < n - 1; j++)
                a[i * n + j] = b[i * n + j];
    }
}
