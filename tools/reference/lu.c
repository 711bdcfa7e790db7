#include <math.h>
#include <stdint.h>

void kernel(double *a, int64_t n, int64_t m)
{
    for (int64_t k = 0; k < n; k++) {
        for (int64_t i = k + 1; i < n; i++)
            a[i * n + k] /= a[k * n + k];
#pragma omp parallel for
        for (int64_t i = k + 1; i < n; i++)
            for (int64_t j = k + 1; j < n; j++)
                a[i * n + j] -= a[i * n + k] * a[k * n + j];
    }
}
