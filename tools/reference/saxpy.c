#include <math.h>
#include <stdint.h>

void kernel(double a, const double *x, int64_t n, double *y, int64_t ny)
{
#pragma omp parallel for
    for (int64_t i = 0; i < n; i++)
        y[i] = a * x[i] + y[i];
}
