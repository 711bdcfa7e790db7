int32_t kernel(const alp_slot *in, alp_slot *out)
{
    int64_t fp = 0;
    alp_fp_clear();
    const int threads = (int)in[0].i;
    int64_t n = in[1].i;
    double *restrict c = in[2].p;
    const int64_t c_n0 = in[3].i;
    const int64_t c_n1 = in[4].i;
    double *restrict a = in[7].p;
    const int64_t a_n0 = in[8].i;
    const int64_t a_n1 = in[9].i;
    const int64_t fp_mask = in[12].i;
    if (!(n <= c_n0)) { out[0].i = 0; return 1; }
    if (!(n <= c_n1)) { out[0].i = 1; return 1; }
    if (!(n <= a_n0)) { out[0].i = 2; return 1; }
    if (!(n <= a_n1)) { out[0].i = 3; return 1; }
    if (!(n >= 1)) { out[0].i = 4; return 1; }
    int64_t fault = 0;
    if ((0) >= (3)) {
        out[0].i = -2;
        return 1;
    }
    int64_t i = 0;
    int64_t j = 0;
    int64_t t = 0;
    int64_t i_set = 0;
    int64_t j_set = 0;

    for (int64_t t_1 = 0; t_1 < 3; t_1++) {  // for t in range(3):
        t = t_1;
        if (0 < n) {
        fp |= alp_fp_raised();
        #pragma omp parallel num_threads(threads) if(n - 0 > 58) reduction(|:fault, fp)
        {
            alp_fp_clear();
            #pragma omp for schedule(static) lastprivate(i, j)
            for (int64_t i_1 = 0; i_1 < n; i_1++) {  // for i in range(n):
                i = i_1;
                #pragma GCC ivdep
                for (int64_t j_1 = 0; j_1 < n; j_1++) {  // for j in range(n):
                    j = j_1;
                    c[i_1 * c_n1 + j_1] += alp_div_f64(1.0, a[i_1 * a_n1 + j_1] - (double)t_1, &fault);  // c[i, j] = c[i, j] + 1.0 / (float(a[i, j]) - t)
                }
            }
            fp |= alp_fp_raised();
        }
        }
        i_set |= 0 < n;
        j_set |= 0 < n;
    }

    out[1].i = t;
    out[2].i = i;
    out[3].i = i_set;
    out[4].i = j;
    out[5].i = j_set;
    fp |= alp_fp_raised();
    out[0].i = fault | fp << 8;
    return fault || (fp & fp_mask) ? 2 : 0;
}
