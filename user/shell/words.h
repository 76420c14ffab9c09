// A line of the monitor as words.
#pragma once

// Splits in place at spaces. '...' keeps what is in it as it is; in "..." a backslash takes the next " or \ as it is; outside of both it
// takes any character. A word may be made of several such pieces, and be empty where one is quoted. Returns how many of `most` there are;
// 0 and *wrong: what the line lacks, in words for a person.
unsigned words_split(char *line, char **words, unsigned most, const char **wrong);
