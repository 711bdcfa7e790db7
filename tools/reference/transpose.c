#include <math.h>
#include <stdint.h>

void kernel(const double *a, int64_t rows, int64_t cols, double *b, int64_t brows, int64_t bcols)
{
#pragma omp parallel for
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++)
            b[j * bcols + i] = a[i * cols + j];
}
