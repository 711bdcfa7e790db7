#include <math.h>
#include <stdint.h>

void kernel(double *d, int64_t n, int64_t m)
{
    /* Rows are independent because d[k, k] is 0: row k does not change while it is the pivot. */
    for (int64_t k = 0; k < n; k++)
#pragma omp parallel for
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < n; j++)
                if (d[i * n + k] + d[k * n + j] < d[i * n + j])
                    d[i * n + j] = d[i * n + k] + d[k * n + j];
}
