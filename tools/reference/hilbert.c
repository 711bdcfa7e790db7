#include <math.h>
#include <stdint.h>

void kernel(int64_t n, double *h, int64_t rows, int64_t cols)
{
#pragma omp parallel for
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            h[i * cols + j] = 1.0 / (double)(i + j + 1);
}
