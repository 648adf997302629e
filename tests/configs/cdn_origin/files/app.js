var application = "the plain one";
