int32_t kernel(const alp_slot *in, alp_slot *out)
{
    int64_t fp = 0;
    alp_fp_clear();
    int64_t n = in[1].i;
    double *restrict a = in[2].p;
    const int64_t a_n0 = in[3].i;
    const int64_t a_n1 = in[4].i;
    double *restrict b = in[7].p;
    const int64_t b_n0 = in[8].i;
    const int64_t b_n1 = in[9].i;
    double *restrict c = in[12].p;
    const int64_t c_n0 = in[13].i;
    const int64_t c_n1 = in[14].i;
    const int64_t fp_mask = in[17].i;
    if (!(n <= a_n0)) { out[0].i = 0; return 1; }
    if (!(n <= a_n1)) { out[0].i = 1; return 1; }
    if (!(n <= b_n0)) { out[0].i = 2; return 1; }
    if (!(n <= b_n1)) { out[0].i = 3; return 1; }
    if (!(n <= c_n0)) { out[0].i = 4; return 1; }
    if (!(n <= c_n1)) { out[0].i = 5; return 1; }
    if ((0) >= (n)) {
        out[0].i = -2;
        return 1;
    }
    int64_t i = 0;
    int64_t j = 0;
    int64_t k = 0;
    double s = 0;
    int64_t s_class = 0;
    int64_t j_set = 0;
    int64_t s_set = 0;
    int64_t k_set = 0;

    for (int64_t i_1 = 0; i_1 < n; i_1++) {  // for i in range(n):
        i = i_1;
        for (int64_t j_1 = 0; j_1 < n; j_1++) {  // for j in range(n):
            j = j_1;
            j_set = 1;
            s_class = 0;  // s = 0.0
            s = 0.0;
            s_set = 1;
            for (int64_t k_1 = 0; k_1 < n; k_1++) {  // for k in range(n):
                k = k_1;
                k_set = 1;
                s_class = 1;  // s += a[i, k] * b[k, j]
                s = s + a[i_1 * a_n1 + k_1] * b[k_1 * b_n1 + j_1];
                s_set = 1;
            }
            c[i_1 * c_n1 + j_1] = s;  // c[i, j] = s
        }
    }

    out[1].i = i;
    out[2].i = j;
    out[3].i = j_set;
    out[4].d = s;
    out[5].i = s_class;
    out[6].i = s_set;
    out[7].i = k;
    out[8].i = k_set;
    fp |= alp_fp_raised();
    out[0].i = fp << 8;
    return (fp & fp_mask) ? 2 : 0;
}
