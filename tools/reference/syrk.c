#include <math.h>
#include <stdint.h>

void kernel(double alpha, double beta, const double *a, int64_t n, int64_t m, double *c, int64_t cn, int64_t cm)
{
#pragma omp parallel for schedule(dynamic, 4)
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j <= i; j++)
            c[i * n + j] *= beta;
        for (int64_t k = 0; k < m; k++)
            for (int64_t j = 0; j <= i; j++)
                c[i * n + j] += alpha * a[i * m + k] * a[j * m + k];
    }
}
