#include <math.h>
#include <stdint.h>

#define AT(x, i, j, k) x[((i) * n + (j)) * n + (k)]
#define HEAT(x)                                                                  \
    (0.125 * (AT(x, i + 1, j, k) - 2.0 * AT(x, i, j, k) + AT(x, i - 1, j, k))    \
     + 0.125 * (AT(x, i, j + 1, k) - 2.0 * AT(x, i, j, k) + AT(x, i, j - 1, k))  \
     + 0.125 * (AT(x, i, j, k + 1) - 2.0 * AT(x, i, j, k) + AT(x, i, j, k - 1))  \
     + AT(x, i, j, k))

void kernel(int64_t steps, double *restrict a, int64_t n, int64_t a1, int64_t a2, double *restrict b, int64_t b0,
            int64_t b1, int64_t b2)
{
    for (int64_t t = 0; t < steps; t++) {
#pragma omp parallel for
        for (int64_t i = 1; i < n - 1; i++)
            for (int64_t j = 1; j < n - 1; j++)
                for (int64_t k = 1; k < n - 1; k++)
                    AT(b, i, j, k) = HEAT(a);
#pragma omp parallel for
        for (int64_t i = 1; i < n - 1; i++)
            for (int64_t j = 1; j < n - 1; j++)
                for (int64_t k = 1; k < n - 1; k++)
                    AT(a, i, j, k) = HEAT(b);
    }
}
