#include <math.h>
#include <stdint.h>

void kernel(double alpha, double beta, double *a, int64_t n, int64_t m, const double *u1, int64_t n1, const double *v1,
            int64_t n2, const double *u2, int64_t n3, const double *v2, int64_t n4, const double *y, int64_t n5,
            const double *z, int64_t n6, double *x, int64_t n7, double *w, int64_t n8)
{
#pragma omp parallel for
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            a[i * n + j] = a[i * n + j] + u1[i] * v1[j] + u2[i] * v2[j];

#pragma omp parallel for
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            x[i] = x[i] + beta * a[j * n + i] * y[j];

#pragma omp parallel for
    for (int64_t i = 0; i < n; i++)
        x[i] = x[i] + z[i];

#pragma omp parallel for
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            w[i] = w[i] + alpha * a[i * n + j] * x[j];
}
