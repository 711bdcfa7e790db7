#include <math.h>
#include <stdint.h>

void kernel(const double *a, int64_t n, int64_t m, const double *r, int64_t nr, const double *p, int64_t np, double *s,
            int64_t ns, double *q, int64_t nq)
{
#pragma omp parallel
    {
#pragma omp for
        for (int64_t i = 0; i < n; i++) {
            double t = 0.0;
            for (int64_t j = 0; j < m; j++)
                t += a[i * m + j] * p[j];
            q[i] = t;
        }
        for (int64_t i = 0; i < n; i++)
#pragma omp for schedule(static) nowait
            for (int64_t j = 0; j < m; j++)
                s[j] += r[i] * a[i * m + j];
    }
}
