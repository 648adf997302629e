console.log("the plain one");
