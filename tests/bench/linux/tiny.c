// The least that a program can be: what the exec tests start.
int main(void)
{
    return 0;
}
