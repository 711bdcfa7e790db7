#include <math.h>
#include <stdint.h>

void kernel(int64_t n, int64_t max_iter, int32_t *counts, int64_t rows, int64_t cols)
{
#pragma omp parallel for schedule(dynamic)
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            double cx = -2.0 + 3.0 * j / n, cy = -1.5 + 3.0 * i / n;
            double x = 0.0, y = 0.0;
            int64_t k = 0;
            while (k < max_iter && x * x + y * y <= 4.0) {
                double t = x * x - y * y + cx;
                y = 2.0 * x * y + cy;
                x = t;
                k++;
            }
            counts[i * n + j] = (int32_t)k;
        }
}
